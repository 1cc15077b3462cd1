{{ loaded('request') }}
