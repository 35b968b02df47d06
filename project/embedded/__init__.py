"""A Django database engine that brings its own PostgreSQL: the vendor stays ``postgresql``.

Every process that uses the server holds a shared lock on one file, which the kernel lets go of however the
process ends. A keeper process, the server's parent, waits for that lock alone; having it means that nobody is
left, and it stops the server. ``server`` is the users' side, ``keeper`` the parent, ``cluster`` the files and
processes of PostgreSQL, ``account`` the user it runs as.
"""
