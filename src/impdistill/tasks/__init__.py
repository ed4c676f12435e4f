"""What a good pair is: a task = its chain of filters + its groups + its instructions."""

from impdistill.tasks.from_recipe import tasks_of
from impdistill.tasks.per_group import diverse_within_groups
from impdistill.tasks.task import Group, Task, borders, instructions

__all__ = ["Group", "Task", "borders", "diverse_within_groups", "instructions", "tasks_of"]
