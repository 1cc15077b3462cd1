{{ comments('request') }}
