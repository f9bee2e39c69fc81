"""Where things are on this machine, by the options of a command."""

from __future__ import annotations

import argparse
from pathlib import Path

import platformdirs

from zap2.errors import UsageError
from zap2.vault.profile import ProfileFolder, default_config_dir


def config_dir(arguments: argparse.Namespace) -> Path:
    """Give the folder that holds everything that profiles keep. Raises UsageError for what is no folder."""
    if not arguments.config_dir:
        return default_config_dir()
    path = Path(arguments.config_dir)
    if path.exists() and not path.is_dir():
        raise UsageError(
            f"{path} is a file, and profiles are kept in a folder.", "Choose another --config-dir."
        )
    return path


def profile_folder(arguments: argparse.Namespace) -> ProfileFolder:
    """Give the folder of the profile that a command uses. Raises UsageError for a name that cannot be one."""
    return ProfileFolder(config_dir(arguments), arguments.profile)


def profile_names(arguments: argparse.Namespace) -> list[str]:
    """Give the names of the profiles that are set up."""
    folder = config_dir(arguments) / "profiles"
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if (entry / "vault.db").exists())


def relay_data_dir() -> Path:
    """Give the folder in which a relay on this machine keeps its data unless the host says otherwise."""
    return platformdirs.user_data_path("zap2", appauthor=False) / "relay"


def hosted_relay_data_dir(arguments: argparse.Namespace) -> Path:
    """Give the folder of the relay that runs inside a chat."""
    return config_dir(arguments) / "relay"
