"""What a good pair is: a task = its chain of filters + its groups + its instructions."""

from impdistill.tasks.from_recipe import tasks_of
from impdistill.tasks.per_group import for_self_distillation
from impdistill.tasks.task import Group, Task, borders, instructions

__all__ = ["Group", "Task", "borders", "for_self_distillation", "instructions", "tasks_of"]
