"""Sends the requests it reads with `requests`, in one session."""

import json
import sys

import requests

outcomes = []
session = requests.Session()
session.trust_env = False
for request in json.load(sys.stdin):
    try:
        body = bytes(request["size"]) or None
        answer = session.request(
            request["method"], request["url"], data=body, headers=request["headers"], timeout=request["patience"]
        )
        outcomes.append(answer.status_code)
    except Exception as error:
        outcomes.append(repr(error))
json.dump(outcomes, sys.stdout)
