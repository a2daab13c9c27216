"""The registry of plugins, which is empty: every operator that Carnot knows is built in."""

from __future__ import annotations

from typing import Any

from ._logger import ILogger, Severity


class IPluginRegistry:
    """Creators of plugins: none.

    Attributes:
        error_recorder, parent_search_enabled: kept; change nothing here.
    """

    def __init__(self) -> None:
        self.error_recorder: Any = None
        self.parent_search_enabled = True

    @property
    def plugin_creator_list(self) -> list[Any]:
        return []

    @property
    def all_creators(self) -> list[Any]:
        return []

    @property
    def all_creators_recursive(self) -> list[Any]:
        return []

    def get_plugin_creator(self, type: str, version: str = "1", plugin_namespace: str = "") -> None:
        """None: there is no such creator."""

    def get_creator(self, type: str, version: str = "1", plugin_namespace: str = "") -> None:
        """None: there is no such creator."""


_registry = IPluginRegistry()


def get_plugin_registry() -> IPluginRegistry:
    return _registry


def get_builder_plugin_registry(capability: Any) -> IPluginRegistry:
    return _registry


def init_libnvinfer_plugins(logger: ILogger | None, namespace: str) -> bool:
    """Nothing needs to be registered; True."""
    if logger is not None:
        logger.log(Severity.VERBOSE, "no plugins to register: Carnot's operators are built in")
    return True
