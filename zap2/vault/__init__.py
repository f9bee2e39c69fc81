"""The vault: a profile on the disk that nobody reads without the passphrase.

`zap2.vault.store` is what the engine works with; `profile`, `keyfile` and `container` make and open it.
"""
