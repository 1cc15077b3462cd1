{{ tags('request', 'RequestTags') }}
