{{ config(enabled='requests' in var('calltouch_journals')) }}
{{ visits('request') }}
