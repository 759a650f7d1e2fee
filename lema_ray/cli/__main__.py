"""`python -m lema_ray.cli`."""

from lema_ray.cli import main

main()
