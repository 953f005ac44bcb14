"""The course: exercises cut from the code of this house, and a grader that names mistakes.

    tinygpt learn start softmax        the real function, its body cut out, in a file of your own
    tinygpt learn check softmax        your function in its place: does everything still hold?

There is no second copy of a solution anywhere. An exercise names a function; `ast` cuts its body
(cut.py), the learner's file is loaded as the function's module (route.py), so that whoever imports
it there gets hers, and what is expected is what the real one does. A mistake is an edit of the real
function, a line of text each (exercise.py); a wrong answer is held against all of them.

Read next: exercise.py, then grade.py (the process), stages.py (what is asked there).
"""
