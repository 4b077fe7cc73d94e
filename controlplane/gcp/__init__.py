"""How Google's APIs are called: as whom, over what, and what their refusals mean."""
