"""Ids of households hashed with a salt: nobody reads them back, and who has the salt can follow."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import polars as pl

from ..errors import UsageError
from ..instance import Instance
from ..plan import Certificate, Leaf, Plan, Split
from ..texts import _, reason

_LEAST = 16  # characters of a salt: ids can be guessed one after another, so the salt must not be
_MOST = 2**16
_LENGTH = 12  # characters of a hashed id, five bits each

_V = TypeVar("_V")


def read_salt(path: str | os.PathLike[str]) -> bytes:
    """Read a salt: all that a file holds but for blanks at its ends.

    Parameters
    ----------
    path : a file, or a pipe

    Raises
    ------
    UsageError
        if the file cannot be read, or is too short to keep ids secret; the message never holds what is in it.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            salt = file.read(_MOST + 1).strip()
    except FileNotFoundError as error:
        make = "python3 -c 'import secrets; print(secrets.token_hex(32))'"
        said = _("there is no salt {path}; make one once, and keep it: {make} > {path}", path=path, make=make)
        raise UsageError(said) from error
    except OSError as error:
        raise UsageError(_("{path} cannot be read: {reason}", path=path, reason=reason(error))) from error
    if not _LEAST <= len(salt) <= _MOST:
        said = _("{path}: a salt has {least} to {most:,} bytes", path=path, least=_LEAST, most=_MOST)
        raise UsageError(said)
    return salt


def hashed_id(household: str, salt: bytes) -> str:
    """The id that stands for a household's: twelve lower-case letters and digits.

    The first 60 bits of HMAC-SHA256, with the salt as its key, of ``household:`` and the id in UTF-8, in
    base 32 (RFC 4648).

    Parameters
    ----------
    household : its id
    salt : see `read_salt`

    Examples
    --------
    >>> hashed_id("h1", b"a salt that nobody knows")
    'hiossdlxa56t'
    """
    digest = hmac.digest(salt, f"household:{household}".encode(), hashlib.sha256)
    return base64.b32encode(digest).decode()[:_LENGTH].lower()


def hashed_ids(instance: Instance, salt: bytes) -> Mapping[str, str]:
    """What stands for the id of each household of an instance.

    Parameters
    ----------
    instance : whose households they are
    salt : see `read_salt`

    Raises
    ------
    UsageError
        if two are the same, which one in a hundred thousand salts does to four million households.
    """
    found = {household: hashed_id(household, salt) for household in instance.households["id"]}
    if len(set(found.values())) < len(found):
        raise UsageError(_("two households have the same hashed id; take another salt"))
    return found


def hashed_instance(instance: Instance, salt: bytes) -> Instance:
    """An instance with hashed ids of households.

    What counts for nothing in the model and may tell who somebody is is left out: ``cause``, ``labour`` and
    ``x_...`` of households. Villages, regions and roofs keep their ids, which name places.

    Parameters
    ----------
    instance : any
    salt : see `read_salt`
    """
    codes = hashed_ids(instance, salt)
    extra = [name for name in instance.households.columns if name.startswith("x_")]
    households = instance.households.drop(extra).with_columns(
        id=pl.Series([codes[code] for code in instance.households["id"]], dtype=pl.String),
        cause=pl.lit(None, pl.String),
        labour=pl.lit(None, pl.String),
    )
    return instance.replace(households=households)


def hashed(instance: Instance, plan: Plan, salt: bytes) -> tuple[Instance, Plan]:
    """An instance and its plan with hashed ids of households: `roofalloc.check` says of them what it did.

    Parameters
    ----------
    instance : any; see `hashed_instance`
    plan : of this instance
    salt : see `read_salt`

    Raises
    ------
    UsageError
        if the plan is of another instance.
    """
    if plan.instance_sha256 != instance.sha256:
        raise UsageError(_("the plan is of another instance"))
    codes, renamed = hashed_ids(instance, salt), hashed_instance(instance, salt)
    return renamed, replace(
        plan,
        instance_sha256=renamed.sha256,
        households=plan.households.with_columns(
            household=pl.Series([codes.get(h, h) for h in plan.households["household"]], dtype=pl.String)
        ).sort("household"),
        certificates=tuple(_certificate(certificate, codes) for certificate in plan.certificates),
    )


def _certificate(found: Certificate, codes: Mapping[str, str]) -> Certificate:
    tree = found.tree and replace(found.tree, nodes=tuple(_node(node, codes) for node in found.tree.nodes))
    return replace(found, implied=_renamed(found.implied, codes), tree=tree)


def _node(node: Split | Leaf, codes: Mapping[str, str]) -> Split | Leaf:
    if isinstance(node, Leaf):
        return replace(node, implied=_renamed(node.implied, codes)) if node.implied else node
    return node if node.demand is None else replace(node, demand=codes.get(node.demand, node.demand))


def _renamed(prices: Mapping[str, _V], codes: Mapping[str, str]) -> dict[str, _V]:
    return {codes.get(key, key): price for key, price in prices.items()}
