"""cortexnet"""
