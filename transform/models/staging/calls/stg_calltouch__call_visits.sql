{{ config(enabled='calls' in var('calltouch_journals')) }}
{{ visits('call') }}
