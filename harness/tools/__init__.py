"""kind, helm and kubectl: taken from PATH when their version fits, else fetched once into .tools/ (tools.yaml).

`published` is what tools.yaml says, `download` fetches one file, `programs` chooses.
"""
