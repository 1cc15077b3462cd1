{{ comments('call') }}
