{{ config(enabled='requests' in var('calltouch_journals')) }}
{{ loaded('request') }}
