{{ config(enabled='calls' in var('calltouch_journals')) }}
{{ comments('call') }}
