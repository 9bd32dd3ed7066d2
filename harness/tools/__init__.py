"""kind, helm and kubectl: from PATH if the version fits, otherwise downloaded into .tools/ (tools.yaml).

`published` is what tools.yaml says, `download` fetches one file, `programs` chooses.
"""
