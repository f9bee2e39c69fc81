"""The terminal interface. It shows what `zap2.client.api` offers and knows nothing below it.

Start it with `zap2.tui.app.run_app`; importing this package alone does not load Textual.
"""
