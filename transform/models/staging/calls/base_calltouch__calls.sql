{{ loaded('call') }}
