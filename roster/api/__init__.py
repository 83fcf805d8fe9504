"""What API operations share: responses, pagination, the captcha, the documentation page."""
