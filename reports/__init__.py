"""Parameterised notebooks, and the runner that turns them into offline HTML reports."""
