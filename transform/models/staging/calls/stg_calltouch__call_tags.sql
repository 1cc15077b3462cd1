{{ config(enabled='calls' in var('calltouch_journals')) }}
{{ tags('call', 'callTags') }}
