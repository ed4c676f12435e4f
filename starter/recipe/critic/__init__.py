"""The critic: does a sentence read as if a person had written it?"""
