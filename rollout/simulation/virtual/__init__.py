"""An engine in virtual time: real workflow code, run by the SDK, with no server and no waiting."""
