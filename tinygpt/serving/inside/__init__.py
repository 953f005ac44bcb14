"""What the screens under /look ask for: numbers of ../../inspection, as JSON.

Read in this order: looks.py (the answers), asked.py (what may be asked), models.py (which model),
routes.py (the addresses), runs.py (a training as it goes on).
"""
