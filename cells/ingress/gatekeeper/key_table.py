"""The API keys as the gatekeeper knows them now, in memory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cells.ingress.gatekeeper.changes import Followers
from cells.ingress.keys import KeyRow, SigningKeyRow


@dataclass(frozen=True)
class AccountKeys:
    """The live keys of one account, as of one revision."""

    account: str
    revision: int
    keys: Mapping[str, KeyRow] = field(default_factory=dict)
    """By key id."""


class KeyTable:
    """Public signing keys by id, live API keys by account, and a way to follow their changes."""

    def __init__(self) -> None:
        self._signing: dict[str, SigningKeyRow] = {}
        self._accounts: dict[str, AccountKeys] = {}
        self.followers = Followers()
        """They are told the accounts whose keys changed, and `*` for the signing keys."""

    def signing_keys(self) -> list[SigningKeyRow]:
        return list(self._signing.values())

    def accounts(self) -> list[AccountKeys]:
        return list(self._accounts.values())

    def signing_key(self, kid: str) -> SigningKeyRow | None:
        return self._signing.get(kid)

    def of_account(self, account: str) -> AccountKeys | None:
        return self._accounts.get(account)

    def replace(self, signing: Iterable[SigningKeyRow], accounts: Iterable[AccountKeys]) -> None:
        """Believe exactly these."""
        wanted = {keys.account: keys for keys in accounts}
        gone = {account: None for account in self._accounts if account not in wanted}
        self.update({**gone, **wanted})
        self.replace_signing(signing)

    def replace_signing(self, signing: Iterable[SigningKeyRow]) -> None:
        """Believe what is signed by exactly these."""
        wanted = {key.kid: key for key in signing}
        if wanted != self._signing:
            self._signing = wanted
            self.followers.tell(["*"])

    def update(self, changes: Mapping[str, AccountKeys | None]) -> None:
        """Let these be the keys of their accounts from now on; None forgets an account."""
        changed = []
        for account, keys in changes.items():
            if self._accounts.get(account) != keys:
                changed.append(account)
                if keys is None:
                    del self._accounts[account]
                else:
                    self._accounts[account] = keys
        if changed:
            self.followers.tell(changed)
