"""The documents that the documentation shows; the tests send them."""

from typing import Any

DOCUMENT: dict[str, Any] = {
    "files": [
        {
            "namePattern": "guests_$yyyyMMdd.csv",
            "required": True,
            "format": {"type": "CSV", "encoding": "UTF-8", "separator": ";", "enclosing": '"', "escape": '"'},
            "load": {
                "tableType": "PROFILE_TABLE",
                "tableId": "31",
                "mode": "CREATE_UPDATE",
                "keyAttribute": "emailAddress",
                "emptyCells": "KEEP",
            },
            "mapping": [
                {
                    "column": "mail",
                    "attribute": "emailAddress",
                    "transformations": [{"operation": "TRIM"}, {"operation": "LOWERCASE"}],
                },
                {
                    "column": "born",
                    "attribute": "birthDate",
                    "transformations": [{"operation": "PARSE_DATE", "pattern": "dd.MM.yyyy"}],
                },
                {"column": "news", "subscription": "Newsletter"},
            ],
        }
    ],
    "generateResultFile": False,
}
ETL_IN: dict[str, Any] = {"name": "guests-daily", "isActive": True, "source": {"type": "API"}, **DOCUMENT}
ETL_OUT: dict[str, Any] = {
    "id": "12",
    **ETL_IN,
    "resultFileNamePattern": None,
    "report": None,
    "schedule": None,
    "nextRunAt": None,
    "lookedAt": None,
    "lookError": None,
}
EXECUTION_OUT: dict[str, Any] = {
    "id": "99",
    "etlId": "12",
    "status": "DONE_WITH_ERRORS",
    "executionStatus": "WITH_ERROR",
    "withErrors": True,
    "rowsRead": 1000,
    "rowsCreated": 700,
    "rowsUpdated": 250,
    "rowsUnchanged": 45,
    "rowsInError": 5,
    "percent": 100,
    "startedAt": "2027-03-01T03:00:00.000Z",
    "endedAt": "2027-03-01T03:00:09.000Z",
    "errors": [],
    "files": [
        {
            "name": "guests_20270301.csv",
            "tableType": "PROFILE_TABLE",
            "tableId": "31",
            "rowsRead": 1000,
            "rowsInError": 5,
        }
    ],
    "_links": {
        "errors": {"href": "/mass-imports/v5/entities/hotels/etl-executions/99/errors"},
        "etl": {"href": "/mass-imports/v5/entities/hotels/etls/12"},
    },
}
