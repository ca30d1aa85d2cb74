"""Sends the requests it reads with Python's standard library, over one kept connection."""

import http.client
import json
import sys
import urllib.parse

outcomes = []
connections = {}
for request in json.load(sys.stdin):
    url = urllib.parse.urlsplit(request["url"])
    connection = connections.get(url.netloc)
    if connection is None:
        connection = http.client.HTTPConnection(url.netloc, timeout=request["patience"])
        connections[url.netloc] = connection
    try:
        body = bytes(request["size"]) or None
        connection.request(request["method"], url.path, body=body, headers=request["headers"])
        answer = connection.getresponse()
        answer.read()
        outcomes.append(answer.status)
    except Exception as error:
        connection.close()
        outcomes.append(repr(error))
json.dump(outcomes, sys.stdout)
