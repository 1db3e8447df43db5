"""What every room uses: units, errors, parameters, protocols, State, threads. Imports no other room."""
