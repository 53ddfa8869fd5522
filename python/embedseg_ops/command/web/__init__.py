"""The page of ``embedseg-ops serve``: what is kept (`store`), done (`work`), allowed (`limits`, `guard`) and shown."""
