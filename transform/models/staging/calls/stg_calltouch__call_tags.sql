{{ tags('call', 'callTags') }}
