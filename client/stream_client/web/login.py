"""``POST /api/session``: the token that a page found in its URL's fragment becomes a cookie."""

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, Field

from stream_client.web.state import State

MAX_AGE = 30 * 24 * 3600
"""Seconds that a browser keeps the cookie."""


class Token(BaseModel):
    """What the program printed at its start, in the URL after ``#token=``."""

    token: str = Field(max_length=200)


def router(state: State) -> APIRouter:
    """The routes."""
    made = APIRouter(prefix="/api", tags=["sessions"])
    access = state.access

    @made.post("/session", status_code=204, responses={401: {"description": "the token is wrong"}})
    async def log_in(given: Token, request: Request, response: Response) -> None:
        """Exchange the token for a cookie that scripts cannot read. Nothing happens where no token is needed."""
        if not access.token:
            return
        if not access.knows_token(given.token):
            raise HTTPException(401, "the token is wrong: open the URL that the program printed at its start")
        response.set_cookie(
            access.cookie_name,
            access.cookie,
            max_age=MAX_AGE,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )

    return made
