{{ config(enabled='calls' in var('calltouch_journals')) }}
{{ loaded('call') }}
