"""Tools for a gevent hub: callbacks, periodic work, a hook at each switch."""
