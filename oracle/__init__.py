"""The oracle of the wire: AWS's published models (botocore's) against a real `landfall serve`.

`python -m oracle --landfall target/debug/landfall --results target/oracle.json`, run by `cargo xtask test`.

    probe.py     every input member of every operation, one at a time: honoured, or refused by name
    play.py      the scenario: every operation with real values, every answer compared with the model
    scenario/    what is called, as data
    answers.py   one raw answer against its model
    page.py      docs/coverage.md from what was found
"""
