"""What a rebuild would do: which stages run, what they ask, what it costs. Nothing is started, nothing written."""
