{{ visits('call') }}
