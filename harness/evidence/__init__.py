"""Pure judgements over what was recorded: doing and judging are apart, so a stored run can be judged again.

joins     which log lines speak of the same request
verdict   held, broken or inconclusive, and how several make one
journey   one request's way through the mesh, joined from three kinds of log
window    the arithmetic of fixed rate-limit windows
"""
