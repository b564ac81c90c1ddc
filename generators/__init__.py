"""What people read and run, made from the catalogue: pages, cheat sheets, NumPy modules, the JSON export.

Each output is one small module and one template. Generators read finished equations and decide no mathematics.
"""
