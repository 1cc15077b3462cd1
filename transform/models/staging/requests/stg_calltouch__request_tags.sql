{{ config(enabled='requests' in var('calltouch_journals')) }}
{{ tags('request', 'RequestTags') }}
