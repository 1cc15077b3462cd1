{{ visits('request') }}
