import io
import json
import logging

from controlplane.api.logs import JsonLines


def test_a_record_is_one_line_of_json_with_what_was_added_to_it() -> None:
    stream = io.StringIO()
    logger = logging.Logger("test")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)

    try:
        raise ValueError("two\nlines")
    except ValueError:
        logger.exception("it %s", "broke", extra={"account": "acme1"})

    (text,) = stream.getvalue().splitlines()
    line = json.loads(text)
    assert (line["level"], line["logger"], line["message"]) == ("error", "test", "it broke")
    assert line["account"] == "acme1"
    assert "ValueError: two\nlines" in line["exception"]
    assert line["time"].endswith("+00:00")
