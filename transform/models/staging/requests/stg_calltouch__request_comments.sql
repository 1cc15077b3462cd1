{{ config(enabled='requests' in var('calltouch_journals')) }}
{{ comments('request') }}
