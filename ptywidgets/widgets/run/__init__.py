"""The stage of the reconstruction: plan, model, commands, live images."""
