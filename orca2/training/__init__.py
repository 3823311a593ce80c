"""Fine-tuning: DeepSpeed ZeRO under Ray Train, its checkpoints and what it leaves on disk.

Packed sequences come in, a model folder goes out; nothing here knows how either was made.
"""
