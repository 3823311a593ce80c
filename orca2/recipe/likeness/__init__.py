"""What two texts have in common, whatever they are of: questions of a source, worked turns of a template.

Nothing here knows a source, a split or a grader, so that a stage which compares texts depends on none of them; which
question is left out for a likeness is in `recipe.tasks`.
"""
