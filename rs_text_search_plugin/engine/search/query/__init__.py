"""What a person asks for: taken apart, put into English, embedded, and its parts' scores combined."""
