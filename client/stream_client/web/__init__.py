"""The web application: live cameras, streams and an API, served to browsers. Needs the extra ``web``."""
